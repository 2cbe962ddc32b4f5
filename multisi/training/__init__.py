"""Training: the parts that `fit` is made of, to be used by hand as well."""

from multisi.training.average import Average as Average
from multisi.training.batches import Batches as Batches
from multisi.training.callbacks import EarlyStopping as EarlyStopping
from multisi.training.callbacks import Log as Log
from multisi.training.callbacks import TensorBoard as TensorBoard
from multisi.training.loop import Training as Training
from multisi.training.objective import Batch as Batch
from multisi.training.objective import loss as loss
from multisi.training.schedule import Schedule as Schedule
from multisi.training.simplex_law import SimplexLaw as SimplexLaw
