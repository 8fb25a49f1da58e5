#!/usr/bin/env bash
# Decimal is what one hands over so that nothing is rounded. NautilusTrader's Price takes it, and equals it, but goes
# through a float on the way in and hashes otherwise.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check nautilus_trader==1.221.0
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from decimal import Decimal
from importlib.metadata import version

from nautilus_trader.model.objects import Price

print("guess:     a Decimal of 18 digits stays exact; for halves and hashes none was written down before the first run, one")
print("           would expect halves to go one way and equal things to hash alike")
text = "123456789.123456789"
by_decimal, by_text = str(Price(Decimal(text), 9)), str(Price.from_str(text))
halves = {half: str(Price(Decimal(half), 2)) for half in ("0.125", "1.005", "1.015", "2.675")}
price, number = Price.from_str("1.5"), Decimal("1.5")
found = {number: "level"}.get(price)
print("behaviour: the Decimal loses its last digits, an exact half goes up or down as its float does, and a dictionary")
print("           of Decimals does not find the equal Price")
print(f"output:    Price(Decimal('{text}'), 9) = {by_decimal}; from_str = {by_text}")
print(f"output:    to 2 places: {', '.join(f'{a} -> {b}' for a, b in halves.items())}")
print(f"output:    Price('1.5') == Decimal('1.5'): {price == number}; found in a dictionary: {found}")
same = (
    by_decimal == "123456789.123456784"
    and by_text == text
    and halves == {"0.125": "0.13", "1.005": "1.00", "1.015": "1.01", "2.675": "2.68"}
    and price == number
    and found is None
)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("nautilus_trader",)))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: Price takes a Decimal otherwise now")
print("for us:    make prices by from_str or from integers of 1e-9, and key books by the integer, never by a mix of Price and Decimal")
PYTHON
