"""The mark of pictures made by a trained model, in IPTC's vocabulary: an XMP packet, written and read."""

from __future__ import annotations

import re
from xml.sax.saxutils import quoteattr, unescape

from faceid_cli.rendering.record import RenderMetadata

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""Of pictures of which only a part was rendered."""

AI_FIELDS = ("AIPromptInformation", "AIPromptWriterName", "AISystemUsed", "AISystemVersionUsed")
"""IPTC's fields of 2025.1 for what a model made."""
_READ = ("DigitalSourceType", *AI_FIELDS, "CreatorTool")
_MAX_TEXT = 1_000_000
# What XML 1.0 cannot hold, however it is written.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENTITIES = {"&quot;": '"', "&apos;": "'", "&#10;": "\n", "&#13;": "\r", "&#9;": "\t"}


def source_type(metadata: RenderMetadata | None) -> str:
    """How a picture came to be; None stands for sheets and figures, which show renderings among other things."""
    return COMPOSITE_SOURCE_TYPE if metadata is None or metadata.mask else DIGITAL_SOURCE_TYPE


def xmp_packet(metadata: RenderMetadata | None, is_told: bool = True) -> str:
    """XMP that declares the picture as made, or made in part, by a trained model.

    Args:
        metadata: What is known of the picture; None for sheets and figures.
        is_told: Whether the prompt, the model and the program may be in it; without, the mark stands alone.
    """
    version = metadata.versions.get("faceid", "") if metadata else ""
    fields = {"Iptc4xmpExt:DigitalSourceType": source_type(metadata)}
    if is_told:
        fields["xmp:CreatorTool"] = f"faceid {version}".strip()
    if is_told and metadata is not None:
        fields |= {
            "Iptc4xmpExt:AIPromptInformation": metadata.prompt,
            "Iptc4xmpExt:AIPromptWriterName": metadata.prompt_writer,
            "Iptc4xmpExt:AISystemUsed": f"faceid with {metadata.base_model}" if metadata.base_model else "faceid",
            "Iptc4xmpExt:AISystemVersionUsed": version,
        }
    said = "".join(f" {name}={quoteattr(_NOT_XML.sub('?', value))}" for name, value in fields.items() if value)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' xmlns:xmp="http://ns.adobe.com/xap/1.0/"{said}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def read_xmp(packet: str | bytes) -> dict[str, str]:
    """What a packet of any program says in those fields, by their names without a prefix.

    Fields are looked for by their names, as attributes and as elements: no XML of strangers is parsed.
    """
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet
    text = text[:_MAX_TEXT]
    found: dict[str, str] = {}
    for name in _READ:
        said = re.search(rf":{name}\s{{0,9}}=\s{{0,9}}(?:\"([^\"<]*)\"|'([^'<]*)')", text)
        said = said or re.search(rf":{name}>([^<]*)</", text)
        said = said or re.search(rf":{name}\s{{1,9}}rdf:resource=\"([^\"<]*)\"", text)
        if said:
            value = next(part for part in said.groups() if part is not None)
            found[name] = unescape(value, _ENTITIES).strip()
    return {name: value for name, value in found.items() if value}
