"""Networks of meter reading: `screen` finds the display in a photo, `digits` reads its strip. Need torch; reading does
not."""

from models.meter.networks.digits import DigitNet
from models.meter.networks.screen import ScreenNet

__all__ = ["DigitNet", "ScreenNet"]
