from .barycentric import Barycentric as Barycentric
from .base import Interpolant as Interpolant
from .encoding_decoding import EncodingDecoding as EncodingDecoding
from .smoothed import Smoothed as Smoothed
from .trigonometric import Trigonometric as Trigonometric
from .variance_preserving import VariancePreserving as VariancePreserving
