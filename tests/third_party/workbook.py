"""Prints what a workbook holds, as openpyxl sees it: a program for the environment that has openpyxl.

`workbook.py FILE` prints JSON, of a new workbook where there is none; `workbook.py FILE SHEET CELL VALUE` writes one
cell first, as somebody else would.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.comments import Comment


def seeded(file: str) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Stock"
    for row in (["Item", "Qty", "Due"], ["nail", 3, date(2026, 1, 31)], ['größer, "x"', "=B2*2"], ["00123", 0.1, True]):
        sheet.append(row)
    sheet["A1"].comment = Comment("counted by Ada", "Ada")
    book.save(file)


def content(sheet: Any) -> dict[str, Any]:
    cells = [cell for row in sheet.iter_rows() for cell in row]
    return {
        "cells": {c.coordinate: [c.data_type, str(c.value)] for c in cells if c.value is not None},
        "notes": {c.coordinate: [c.comment.text, c.comment.author] for c in cells if c.comment},
    }


def main(file: str, *write: str) -> None:
    if not Path(file).exists():
        seeded(file)
    book = openpyxl.load_workbook(file)
    if write:
        sheet, cell, value = write
        book[sheet][cell] = value
        book.save(file)
    print(json.dumps({sheet.title: content(sheet) for sheet in book.worksheets}))


if __name__ == "__main__":
    main(*sys.argv[1:])
