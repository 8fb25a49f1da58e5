"""Order books of several exchanges, polled through CCXT's unified interface into one CSV as tardis.dev writes it.

The file is one of incremental_book_L2, so it is read as one: a snapshot of each book first, then what changed, with an
amount of 0 where a level is gone. A book that cannot be had for a while is withdrawn, as nobody knows it then. CCXT is
imported only where an exchange is looked up by name: `pip install 'sor-sweep[crypto]'`.
"""

from __future__ import annotations

import difflib
import gzip
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

from feed.console import printable, quoted
from feed.errors import FeedUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

HEADER: Final = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
ENDINGS: Final = (".csv", ".csv.gz")

LOST_SECONDS: Final = 10.0
"""After so long without an answer a book is withdrawn."""

_MEMBER: Final = 2**16
"""Letters that are compressed together, each time a whole member of a gzip file: what was written can be read, whenever
the recorder ends."""
_SHOWN: Final = 200


class Exchange(Protocol):
    """What is used of an exchange of CCXT."""

    id: str

    def fetch_order_book(self, symbol: str, limit: int | None = None) -> dict[str, Any]:
        """The book: bids and asks, pairs of price and amount, and timestamp, milliseconds or None."""
        ...  # pragma: no cover


@dataclass(slots=True)
class Market:
    """A book that is recorded.

    Attributes
    ----------
    exchange : Exchange
    symbol : str
        CCXT's unified one, such as BTC/USDT.
    levels : dict of str to dict of Decimal to Decimal
        What was written of it: amounts by price, of bid and ask.
    opened : bool
        Whether there is a snapshot of it that was not withdrawn.
    stamp : int
        Microseconds since 1970 of what was written last.
    answered : float
        When it was had last, on the recorder's clock.
    polls, rows, errors : int
    """

    exchange: Exchange
    symbol: str
    levels: dict[str, dict[Decimal, Decimal]] = field(default_factory=lambda: {"bid": {}, "ask": {}})
    opened: bool = False
    stamp: int = 0
    answered: float = 0.0
    polls: int = 0
    rows: int = 0
    errors: int = 0

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.exchange.id}:{self.symbol}"


class Recorder:
    """Writes what changes of books; each market may be polled by a thread of its own.

    Parameters
    ----------
    path : Path
        Ends in .csv or .csv.gz; nothing is there yet.
    levels : int
        Of a side that are asked for.
    now : callable
        Nanoseconds since 1970.
    tell : callable
        Takes a line for people.

    Raises
    ------
    FeedUnavailable
        Another ending, or the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        levels: int = 20,
        now: Callable[[], int] = time.time_ns,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not path.name.endswith(ENDINGS):
            raise FeedUnavailable("its name ends otherwise than .csv or .csv.gz", str(path), "name it so")
        try:
            self._file = path.open("xb")
        except FileExistsError:
            raise FeedUnavailable("there is a file already", str(path), "name another, or remove it") from None
        except OSError as error:
            raise FeedUnavailable(f"it cannot be written: {error.strerror or error}", str(path)) from None
        self._path, self._rows = path, 0
        self._packed, self._levels, self._now, self._tell = path.suffix == ".gz", levels, now, tell
        self._pending, self._lock = [HEADER], threading.Lock()
        self._letters, self._reported = len(HEADER), set[tuple[str, str]]()

    def poll(self, market: Market) -> None:
        """Ask for a book, and write what is another than before; an error is counted, and said once for each kind."""
        market.polls += 1
        try:
            book = market.exchange.fetch_order_book(market.symbol, self._levels)
            levels = {side: _levels_of(book[f"{side}s"], self._levels) for side in ("bid", "ask")}
        except Exception as error:  # noqa: BLE001 - of a network, an exchange, or a book of another shape
            market.errors += 1
            self._report(market, error)
            if market.opened and self._now() / 1e9 - market.answered > LOST_SECONDS:
                self._write(market, {"bid": {}, "ask": {}}, None)
                market.opened = False
            return
        market.answered = self._now() / 1e9
        self._write(market, levels, book.get("timestamp"))

    def close(self) -> None:
        """Write what is pending; a file without a row is removed."""
        with self._lock:
            self._flush()
            self._file.close()
        if not self._rows:
            self._path.unlink()

    def _report(self, market: Market, error: Exception) -> None:
        key = (market.name, type(error).__name__)
        if key not in self._reported:
            self._reported.add(key)
            self._tell(f"{market.name}: {printable(f'{type(error).__name__}: {error}')[:_SHOWN]}")

    def _write(self, market: Market, levels: dict[str, dict[Decimal, Decimal]], sent: int | None) -> None:
        """Write a snapshot, or the levels that are others than before."""
        market.stamp = max(self._now() // 1000, market.stamp + 1)  # one stamp is one message
        first = f"{market.exchange.id},{market.symbol},{sent * 1000 if sent else market.stamp},{market.stamp}"
        rows = [
            f"{first},{str(not market.opened).lower()},{side},{price:f},{amount:f}\n"
            for side, now in levels.items()
            for price, amount in _changes(market.levels[side] if market.opened else {}, now)
        ]
        market.levels, market.opened = levels, market.opened or bool(rows)
        market.rows += len(rows)
        with self._lock:
            self._pending += rows
            self._rows += len(rows)
            self._letters += sum(map(len, rows))
            if self._letters > _MEMBER:
                self._flush()

    def _flush(self) -> None:
        text = "".join(self._pending).encode()
        if text:
            self._file.write(gzip.compress(text, 6) if self._packed else text)
            self._file.flush()
        self._pending, self._letters = [], 0


def _levels_of(pairs: Sequence[Sequence[Any]], most: int) -> dict[Decimal, Decimal]:
    """Amounts by price, as the exchange wrote them: a float's shortest decimal is what it was read from."""
    levels = {}
    for price, amount, *_ in pairs[:most]:
        exact = Decimal(str(price)), Decimal(str(amount))
        if not all(each.is_finite() and each > 0 for each in exact):
            raise ValueError(f"a level of {str(price)[:20]} and {str(amount)[:20]}")
        levels[exact[0]] = exact[1]
    return levels


def _changes(before: dict[Decimal, Decimal], now: dict[Decimal, Decimal]) -> list[tuple[Decimal, Decimal]]:
    gone = [(price, Decimal(0)) for price in before if price not in now]
    return gone + [(price, amount) for price, amount in now.items() if before.get(price) != amount]


def market_of(text: str) -> Market:
    """Make a market of ``exchange:SYMBOL``, such as ``binance:BTC/USDT``.

    Raises
    ------
    FeedUnavailable
        CCXT is not installed, or has no such exchange; or the text is something else.
    """
    name, colon, symbol = text.partition(":")
    if not (name and colon and symbol) or "," in text or not text.isprintable():
        raise FeedUnavailable(f"{quoted(text)} is no market", "", "expected exchange:SYMBOL, such as binance:BTC/USDT")
    try:
        import ccxt
    except ImportError:
        raise FeedUnavailable(
            "recording needs the library ccxt, which is not installed", text, "pip install 'sor-sweep[crypto]'"
        ) from None
    if name not in ccxt.exchanges:
        near = difflib.get_close_matches(name, ccxt.exchanges, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "python -c 'import ccxt; print(ccxt.exchanges)'"
        raise FeedUnavailable(f"{quoted(name)} is no exchange of ccxt", text, hint)
    return Market(getattr(ccxt, name)({"enableRateLimit": True}), symbol)


def record(
    recorder: Recorder,
    markets: Sequence[Market],
    every: float,
    seconds: float | None,
    stop: threading.Event | None = None,
) -> None:
    """Poll markets side by side, until the time is up or somebody stops it; the recorder stays open.

    Parameters
    ----------
    recorder : Recorder
    markets : sequence of Market
    every : float
        Seconds from one question to the next, for each market; 0 = as fast as the exchange allows.
    seconds : float, optional
        How long; None = until stopped.
    stop : threading.Event, optional
        Set by somebody else.

    Raises
    ------
    FeedUnavailable
        A market gives no book at the first question.
    """
    stop = threading.Event() if stop is None else stop
    for market in markets:
        recorder.poll(market)
        if not market.opened:
            raise FeedUnavailable("it gives no book", market.name, "check the symbol, and the network")

    def go_on(market: Market) -> None:
        while not stop.wait(every):
            recorder.poll(market)

    threads = [threading.Thread(target=go_on, args=(each,), name=each.name, daemon=True) for each in markets]
    for thread in threads:
        thread.start()
    try:
        stop.wait(seconds)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
