"""Which line breaks of a template are told: those of lines that hold more than choices and comments.

Jinja2's `trim_blocks` takes the line break after each tag, so that a line that ends in one runs into the next.
"""

from collections.abc import Iterator

from jinja2.ext import Extension
from jinja2.lexer import TOKEN_BLOCK_END, TOKEN_DATA, TOKEN_VARIABLE_BEGIN, Token, TokenStream


class LinesOfTags(Extension):
    """Takes the line break of each line that holds tags only. `+%}` keeps it, as with `trim_blocks`."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """The tokens without those line breaks; each keeps the number of its line."""
        told, after_tag = False, False
        for token in stream:
            value = token.value
            if token.type == TOKEN_DATA:
                # A comment is no token: what follows it is data after data.
                if after_tag and not told and value.startswith("\n"):
                    value = value[1:]
                _, broken, line = token.value.rpartition("\n")
                told = bool(line.strip()) or (told and not broken)
            elif token.type == TOKEN_VARIABLE_BEGIN:
                told = True
            elif token.type == TOKEN_BLOCK_END:
                told = told or value.startswith("+")
            after_tag = token.type in (TOKEN_DATA, TOKEN_BLOCK_END)
            yield Token(token.lineno, token.type, value)
