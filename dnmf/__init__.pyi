from .clusters.local import local_cluster as local_cluster
from .estimators.held_out import held_out_error as held_out_error
from .estimators.minibatch import MiniBatchNMF as MiniBatchNMF
from .estimators.nmf import NMF as NMF
from .estimators.nmf import non_negative_factorization as non_negative_factorization
from .factorization.extend import extend as extend
from .factorization.factorize import factorize as factorize
from .factorization.ranks import ranks as ranks
from .factorization.resume import resume as resume
from .factorization.submit import cancel as cancel
from .factorization.submit import submit as submit
from .factorization.transform import transform as transform
from .formats.convert import convert as convert
from .run.predict import predict as predict
from .run.ranking import Ranking as Ranking
from .run.ranking import open_ranks as open_ranks
from .run.result import Factorization as Factorization
from .run.result import open_run as open_run
from .run.status import status as status

__version__: str
