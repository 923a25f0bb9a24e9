"""A page with one line of text, for the checks of the package and of the image: draw_page.py TEXT FILE"""

import sys

from PIL import Image, ImageDraw, ImageFont

text, file = sys.argv[1:]
page = Image.new("RGB", (1000, 500), "white")
ImageDraw.Draw(page).text((80, 180), text, "black", ImageFont.load_default(80))
page.save(file)
