from .adapted import Adapted as Adapted
from .mlp import MLP as MLP
from .transformer import Transformer as Transformer
from .unet import UNet as UNet
