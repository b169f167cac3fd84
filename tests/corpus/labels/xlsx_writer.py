"""Write small spreadsheets in XLSX, as Excel does: control characters escaped, strings shared or in their cells."""

import io
import re
import zipfile
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def escape_cell(text):
    text = re.sub(r"_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", text)
    return escape(re.sub(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]", lambda match: f"_x{ord(match[0]):04X}_", text))


def column_name(i):
    return chr(65 + i) if i < 26 else f"{chr(64 + i // 26)}{chr(65 + i % 26)}"


def sheet_xml(rows, shared):
    lines = []
    for number, cells in enumerate(rows, 1):
        xml = []
        for i, cell in enumerate(cells):
            place = f'r="{column_name(i)}{number}"'
            if isinstance(cell, int):
                xml.append(f"<c {place}><v>{cell}</v></c>")
            elif cell and shared is not None:
                shared.append(cell)
                xml.append(f'<c {place} t="s"><v>{len(shared) - 1}</v></c>')
            elif cell:
                xml.append(f'<c {place} t="inlineStr"><is><t xml:space="preserve">{escape_cell(cell)}</t></is></c>')
        lines.append(f'<row r="{number}">{"".join(xml)}</row>')
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def xlsx_bytes(sheets, *, share_strings=True, parts=None):
    """sheets: the rows of each sheet by its name; an empty cell is "". parts: further or other files by name."""
    shared = [] if share_strings else None
    files, names, relations = {}, "", ""
    for i, (name, rows) in enumerate(sheets.items(), 1):
        files[f"xl/worksheets/sheet{i}.xml"] = sheet_xml(rows, shared)
        names += f'<sheet name="{escape(name)}" sheetId="{i}" r:id="rId{i}"/>'
        relations += f'<Relationship Id="rId{i}" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet{i}.xml"/>'
    files["xl/workbook.xml"] = f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>{names}</sheets></workbook>'
    files["xl/_rels/workbook.xml.rels"] = f'<Relationships xmlns="{_PACKAGE}">{relations}</Relationships>'
    if shared:
        strings = "".join(f'<si><t xml:space="preserve">{escape_cell(text)}</t></si>' for text in shared)
        files["xl/sharedStrings.xml"] = f'<sst xmlns="{_MAIN}">{strings}</sst>'
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, **(parts or {})}.items():
            archive.writestr(name, content)
    return stream.getvalue()
