"""A style's `[diffusion]` table, read and checked: what the model is asked to paint."""

from __future__ import annotations

from dataclasses import dataclass

from portraitd.errors import SetupError
from portraitd.styles.catalog import Style

#: Longer texts would be cut by the text encoder's 512 tokens.
LONGEST = 1200
#: What prompts call a person that a LoRA was trained on: a word that says nothing by itself. LoRAs answer to no other.
NAME = "ohwx person"


@dataclass(frozen=True)
class StylePrompt:
    """What the style shows, and its choices: clothes, framing, light."""

    prompt: str
    choices: tuple[str, ...]

    def for_seed(self, seed: int) -> str:
        """The whole prompt. Consecutive seeds are different choices."""
        return f"{self.prompt} {self.choices[seed % len(self.choices)]}"


def read_prompt(style: Style) -> StylePrompt:
    """The style's prompt; raises SetupError naming the style's file and the key."""
    where = f"{style.id}/style.toml: diffusion"
    unknown = set(style.diffusion) - {"prompt", "choices"}
    if unknown:
        raise SetupError(f"{where}: unknown keys {sorted(unknown)}")
    choices = style.diffusion.get("choices")
    if not isinstance(choices, list) or not choices:
        raise SetupError(f"{where}.choices: must be a list that is not empty")
    prompt = _text(style.diffusion.get("prompt"), f"{where}.prompt")
    return StylePrompt(prompt, tuple(_text(choice, f"{where}.choices[{i}]") for i, choice in enumerate(choices)))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST:
        raise SetupError(f"{where}: must be a text of 1 to {LONGEST} characters")
    return value.strip()
