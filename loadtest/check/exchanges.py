"""Requests and their replies, byte for byte: plain data, for rows of the scorecard and for tests/contract."""

from typing import Final, NamedTuple

ERR: Final = b"ERR "
"""The start of a line whose rest is the server's own."""

BINARY: Final = bytes(byte for byte in range(256) if byte not in b"\r\n")
LONGEST: Final = b"ECHO " + b"x" * (65_536 - 5)
"""The longest line, without its end."""


def is_error(came: bytes) -> bool:
    """Return whether this is one whole ERR line."""
    return came.startswith(ERR) and came.find(b"\n") == len(came) - 1


class Exchange(NamedTuple):
    """
    One request and its reply, after which the conversation goes on.

    reply: ERR stands for any line that begins so. row: the row that asks it; "" if only the lab's own servers must.
    """

    name: str
    request: bytes
    reply: bytes
    row: str


EXCHANGES: Final = (
    Exchange("echo", b"ECHO hello\n", b"OK hello\n", "echo"),
    Exchange("commands as text", b"ECHO ECHO QUIT\n", b"OK ECHO QUIT\n", "echo"),
    Exchange("echo without text", b"ECHO\n", b"OK\n", ""),
    Exchange("echo without text, CRLF", b"ECHO\r\n", b"OK\n", ""),
    Exchange("echo of empty text", b"ECHO \n", b"OK \n", "blanks"),
    Exchange("echo keeps blanks", b"ECHO  two  blanks \n", b"OK  two  blanks \n", "blanks"),
    Exchange("echo keeps tabs", b"ECHO \ta\t\n", b"OK \ta\t\n", "blanks"),
    Exchange("CR before LF is ignored", b"ECHO hello\r\n", b"OK hello\n", "carriage-return"),
    Exchange("CR elsewhere is text", b"ECHO a\rb\n", b"OK a\rb\n", "carriage-return"),
    Exchange("only one CR is ignored", b"ECHO a\r\r\n", b"OK a\r\n", "carriage-return"),
    Exchange("UTF-8", "ECHO Grüße, 世界\n".encode(), "OK Grüße, 世界\n".encode(), "binary"),
    Exchange("NUL", b"ECHO a\x00b\n", b"OK a\x00b\n", "binary"),
    Exchange("every byte but CR and LF", b"ECHO " + BINARY + b"\n", b"OK " + BINARY + b"\n", "binary"),
    Exchange("sleep 0", b"SLEEP 0 now\n", b"OK now\n", "sleep"),
    Exchange("sleep without text", b"SLEEP 5\n", b"OK\n", "sleep"),
    Exchange("sleep with empty text, CRLF", b"SLEEP 5 \r\n", b"OK \n", ""),
    Exchange("sleep with leading zeros", b"SLEEP 005 a b\n", b"OK a b\n", "sleep"),
    Exchange("sleep past the maximum", b"SLEEP 10001 x\n", ERR, "sleep-numbers"),
    Exchange("sleep far past the maximum", b"SLEEP 99999999999999999999999 x\n", ERR, "sleep-numbers"),
    Exchange("sleep without a number", b"SLEEP\n", ERR, "sleep-numbers"),
    Exchange("sleep with a blank", b"SLEEP \n", ERR, "sleep-numbers"),
    Exchange("sleep with two blanks", b"SLEEP  5 x\n", ERR, "sleep-numbers"),
    Exchange("sleep +5", b"SLEEP +5 x\n", ERR, "sleep-numbers"),
    Exchange("sleep -5", b"SLEEP -5 x\n", ERR, "sleep-numbers"),
    Exchange("sleep 1_0", b"SLEEP 1_0 x\n", ERR, "sleep-numbers"),
    Exchange("sleep 5.0", b"SLEEP 5.0 x\n", ERR, "sleep-numbers"),
    Exchange("sleep 5x", b"SLEEP 5x\n", ERR, "sleep-numbers"),
    Exchange("sleep with an Arabic digit", "SLEEP ٣ x\n".encode(), ERR, "sleep-numbers"),
    Exchange("sleep with a wide digit", "SLEEP ５ x\n".encode(), ERR, "sleep-numbers"),
    Exchange("sleep with text alone", b"SLEEP x\n", ERR, "sleep-numbers"),
    Exchange("work 0", b"WORK 0 done\n", b"OK done\n", "work"),
    Exchange("work without text", b"WORK 1000\n", b"OK\n", "work"),
    Exchange("work, the most", b"WORK 1000000 hard\n", b"OK hard\n", "work"),
    Exchange("work past the maximum", b"WORK 1000001 x\n", ERR, "work-numbers"),
    Exchange("work without a number", b"WORK\n", ERR, "work-numbers"),
    Exchange("work far past the maximum", b"WORK 99999999999999999999999 x\n", ERR, "work-numbers"),
    Exchange("work with text alone", b"WORK x\n", ERR, "work-numbers"),
    Exchange("work -5", b"WORK -5 x\n", ERR, "work-numbers"),
    Exchange("work +5", b"WORK +5 x\n", ERR, "work-numbers"),
    Exchange("work 1_0", b"WORK 1_0 x\n", ERR, "work-numbers"),
    Exchange("work with two blanks", b"WORK  5 x\n", ERR, "work-numbers"),
    Exchange("work with a superscript", "WORK ²\n".encode(), ERR, "work-numbers"),
    Exchange("an empty line", b"\n", ERR, "errors"),
    Exchange("an empty line, CRLF", b"\r\n", ERR, "errors"),
    Exchange("a blank before", b" ECHO x\n", ERR, "errors"),
    Exchange("lower case", b"echo x\n", ERR, "errors"),
    Exchange("a longer word", b"ECHOx\n", ERR, "errors"),
    Exchange("a tab", b"ECHO\tx\n", ERR, "errors"),
    Exchange("quit with text", b"QUIT now\n", ERR, "errors"),
    Exchange("lower case quit", b"quit\n", ERR, "errors"),
    Exchange("HTTP", b"GET / HTTP/1.1\r\n", ERR, "errors"),
    Exchange("garbage", b"\x00\xff\n", ERR, "errors"),
)
