"""Export of a SentencePiece-style tokenizer to a sentencepiece model (`tokenizer.model`, type BPE).

sentencepiece merges any two neighbours that make a piece, highest score first, so pieces are scored in the order of
the first merges that make them, and new units score below every stock piece. `tokenizers` merges only the pairs of
its list. Both give the same ids unless two pieces that are no merge come to stand side by side and make a unit:
there sentencepiece gives one piece and `tokenizers` two (`export_common.MergeAgreement` counts such pairs; with
none of them and the merges in id order the new units act alike by construction).

What the model file cannot say: special tokens written in the text are text for sentencepiece (they are CONTROL
pieces), and a space that the stock tokenizer puts before the text is put once, not again after each added token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypertok.errors import InputError, install
from hypertok.single_file import write_file
from hypertok.tokenizer.export_common import scores_below
from hypertok.tokenizer.kind import delta_ids
from hypertok.tokenizer.stock import BYTE_TOKEN, Family, Stock, components

#: Role of a special token in sentencepiece -> its field in tokenizer_config.json and the name where that is silent.
ROLES = {
    "unk": ("unk_token", ("<unk>",)),
    "bos": ("bos_token", ("<bos>", "<s>")),
    "eos": ("eos_token", ("<eos>", "</s>")),
    "pad": ("pad_token", ("<pad>",)),
}


def export_sentencepiece(folder: Path | str, output: Path | str, *, stock_model: Path | str | None = None) -> Path:
    """Write the tokenizer as a sentencepiece model; returns the path of the file.

    Args:
        folder: the extended tokenizer (or any folder with a SentencePiece-style tokenizer.json).
        output: the file to write, usually `tokenizer.model`.
        stock_model: the stock model's own `.model`; its pieces, scores and settings are kept as they are and the
            new units added. Without it all is derived from tokenizer.json.

    Raises:
        InputError: sentencepiece is missing, `stock_model` is of another tokenizer, or the tokenizer cannot be
            expressed in a sentencepiece model.
    """
    tokenizer, output = Stock.load(folder), Path(output)
    if tokenizer.family is not Family.SENTENCEPIECE:
        raise InputError(
            f"{tokenizer.path}: sentencepiece has no byte-level tokenizers; export this one with: --to tiktoken"
        )
    messages = _messages()
    model = messages.ModelProto()
    if stock_model is not None:
        _read(model, Path(stock_model))
        if output.exists() and output.samefile(stock_model):
            raise InputError(f"{output}: is the stock model; name another file with --output")
    else:
        _describe(model, tokenizer)
    _add_pieces(model, tokenizer, Path(stock_model) if stock_model is not None else None)
    model.trainer_spec.vocab_size = len(model.pieces)
    write_file(output, model.SerializeToString(deterministic=True))
    return output


def _messages() -> Any:
    try:
        from sentencepiece import sentencepiece_model_pb2
    except ImportError as error:
        raise InputError(f"{error.name} is not installed; install it with: {install('export')}") from None
    return sentencepiece_model_pb2


def _read(model: Any, path: Path) -> None:
    remedy = "name the stock model's tokenizer.model"
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except Exception as error:  # protobuf's DecodeError, whose place differs between its versions
        raise InputError(f"{path}: not a sentencepiece model ({error}); {remedy}") from None
    if model.trainer_spec.model_type != model.trainer_spec.BPE or not model.pieces:
        raise InputError(f"{path}: not a sentencepiece model of the type BPE; {remedy}")


def _describe(model: Any, tokenizer: Stock) -> None:
    """Fill in everything but the pieces."""
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = trainer.BPE
    trainer.byte_fallback = bool(tokenizer.data["model"].get("byte_fallback"))
    for role, token in _roles(tokenizer).items():
        setattr(trainer, f"{role}_id", tokenizer.vocabulary.get(token, -1))
        if token:
            setattr(trainer, f"{role}_piece", token)
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = _dummy_prefix(tokenizer)
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True


def _roles(tokenizer: Stock) -> dict[str, str]:
    """Token of each special role, '' where there is none."""
    vocabulary, tokens = tokenizer.vocabulary, {}
    for role, (field, names) in ROLES.items():
        configured = tokenizer.config.get(field)
        content = configured.get("content") if isinstance(configured, dict) else configured
        known = [name for name in (content, *names) if isinstance(name, str) and name in vocabulary]
        tokens[role] = known[0] if known else ""
    tokens["unk"] = str(tokenizer.data["model"].get("unk_token") or tokens["unk"])
    if tokens["unk"] not in vocabulary:
        raise InputError(
            f"{tokenizer.path}: no unknown token (unk_token), and a sentencepiece model must have one; give the stock "
            "tokenizer.model with --stock-model, or use tokenizer.json itself"
        )
    return tokens


def _dummy_prefix(tokenizer: Stock) -> bool:
    """Whether a space is put before the text.

    Raises:
        InputError: text is changed in a way that the identity normalisation of sentencepiece does not know.
    """
    prefix = False
    for part in (*components(tokenizer.data.get("normalizer")), *components(tokenizer.data.get("pre_tokenizer"))):
        kind = part["type"]
        if kind == "Prepend" and part["prepend"] == "▁":
            prefix = True
        elif kind == "Metaspace" and not part.get("split", True):
            prefix |= part.get("prepend_scheme", "always") != "never"
        elif not (
            (kind == "Replace" and part["pattern"] == {"String": " "} and part["content"] == "▁")
            # Cuts at spaces, of which none are left after the replacement above (Gemma).
            or (kind == "Split" and part["pattern"] == {"String": " "})
        ):
            raise InputError(
                f"{tokenizer.path}: {kind} cannot be written into a sentencepiece model without the stock one; "
                "give the stock tokenizer.model with --stock-model, or use tokenizer.json itself"
            )
    return prefix


def _add_pieces(model: Any, tokenizer: Stock, stock_model: Path | None) -> None:
    """Make the model's pieces those of the tokenizer, ids 0 … the highest one; pieces there already are kept.

    Raises:
        InputError: a piece there already is of another tokenizer.
    """
    kind = model.SentencePiece
    unknown = _roles(tokenizer)["unk"]
    special = {token["content"]: bool(token["special"]) for token in tokenizer.added}
    byte_fallback = bool(tokenizer.data["model"].get("byte_fallback"))
    stock_size = len(model.pieces)
    replaced = delta_ids(tokenizer.folder) if stock_size else frozenset()
    scores = _scores(model, tokenizer)
    for identifier in range(max(stock_size, max(tokenizer.token_of) + 1)):
        # A hole must have a piece, and no two pieces may be one string.
        token = tokenizer.token_of.get(identifier, f"<hole_{identifier}>")
        if identifier < stock_size and identifier not in replaced:
            stock = model.pieces[identifier]
            if stock.type == kind.NORMAL and stock.piece != token:
                raise InputError(
                    f"{stock_model}: piece {identifier} is {stock.piece!r}, and {token!r} in {tokenizer.path}; "
                    "give the .model of the same stock tokenizer"
                )
            continue
        piece = model.pieces[identifier] if identifier < stock_size else model.pieces.add()
        piece.piece, piece.score = token, scores.get(token, 0.0)
        if token == unknown:
            piece.type = kind.UNKNOWN
        elif token in special:
            piece.type = kind.CONTROL if special[token] else kind.USER_DEFINED
        elif byte_fallback and BYTE_TOKEN.fullmatch(token):
            piece.type = kind.BYTE
        elif token in scores or len(token) == 1:  # a single character's score is never looked at
            piece.type = kind.NORMAL
        else:  # something that text must not give
            piece.type = kind.UNUSED


def _scores(model: Any, tokenizer: Stock) -> dict[str, float]:
    """Score of every token that merges make and that is no piece of the model yet: the lower, the later its merge."""
    there = {piece.piece for piece in model.pieces}
    made = dict.fromkeys(left + right for left, right in tokenizer.merges)  # each token once, by its first merge
    new = [token for token in made if token not in there]
    lowest = min((piece.score for piece in model.pieces if piece.type == model.SentencePiece.NORMAL), default=0.0)
    return scores_below(lowest, new, tokenizer.path, "export without stock_model")
