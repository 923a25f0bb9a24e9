"""Text detection networks, one file an architecture. Need torch; reading does not.

Each is a `DBDetector`: pages in, a probability map out; in training also the maps of differentiable binarisation.
"""

from models.text_detection.networks.base import DBDetector, Maps
from models.text_detection.networks.dbnet import DBNet
from models.text_detection.networks.ppocr import PPOCRDetector

__all__ = ["DBDetector", "DBNet", "Maps", "PPOCRDetector"]
