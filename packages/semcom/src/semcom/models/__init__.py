"""Networks on both sides of a link: the masked autoencoder (`_mae`), models of the hub (`_hub`), JSCC (`_jscc`)."""

from semcom.models._mae import MaeConfig, SmallMae, gather_tokens, patchify, sincos_positions, unpatchify

__all__ = ["MaeConfig", "SmallMae", "gather_tokens", "patchify", "sincos_positions", "unpatchify"]
