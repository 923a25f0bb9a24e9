"""Text recognition networks, one file an architecture. Need torch; reading does not.

Each is a `CTCNetwork`: strips of one height and any width in, classes of equally wide steps out. Its last layer is
`head`, one row a class, so that a changed charset changes that layer alone.
"""

from models.text_recognition.networks.base import CTCNetwork
from models.text_recognition.networks.crnn import CRNN
from models.text_recognition.networks.ppocr import PPOCRv6
from models.text_recognition.networks.svtr import SVTRLCNet

__all__ = ["CRNN", "CTCNetwork", "PPOCRv6", "SVTRLCNet"]
