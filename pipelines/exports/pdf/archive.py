"""PDF/A-2b (ISO 19005-2, level B): a PDF that will look the same in decades."""

import pikepdf
from pikepdf import Array, Dictionary, Name
from PIL import ImageCms


def mark_as_pdf_a(pdf: pikepdf.Pdf) -> None:
    """Make a `DrawnPdf` PDF/A-2b: its colours are those of sRGB, and its metadata say what it is.

    What the standard asks for besides is so already: fonts are embedded, and there is neither transparency, nor
    encryption, nor anything that acts or is fetched from elsewhere.
    """
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pdf.Root.OutputIntents = Array(
        [
            pdf.make_indirect(
                Dictionary(
                    Type=Name.OutputIntent, S=Name.GTS_PDFA1, OutputConditionIdentifier="sRGB", Info="sRGB",
                    DestOutputProfile=pdf.make_stream(profile, N=3, Alternate=Name.DeviceRGB),
                )
            )
        ]
    )  # fmt: skip
    with pdf.open_metadata(set_pikepdf_as_editor=False) as metadata:
        metadata["pdfaid:part"] = "2"
        metadata["pdfaid:conformance"] = "B"
