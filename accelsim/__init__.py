"""accelsim."""
from accelsim.optimizer import optimizer
