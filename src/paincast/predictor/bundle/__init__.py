"""A bundle: a predictor as a folder of JSON and, for trees, UBJ files, with checksums and without pickle.

``saving.py`` writes it and ``loading.py`` reads it; ``content.py`` turns a predictor into plain data and back, and
hashes them into the version; ``checksums.py`` reads the files of a folder and holds them against ``SHA256SUMS``;
``schema.py`` is the JSON Schema of ``bundle.json``; ``usable.py`` checks that what was built fits together; ``keys.py``
reads keys of Ed25519, with which ``signature.py`` signs.
"""

from paincast.predictor.bundle.checksums import CHECKSUMS, MANIFEST, read_files
from paincast.predictor.bundle.content import FORMAT, add_version
from paincast.predictor.bundle.keys import SigningKey, TrustedKeys, read_signing_key, read_trusted_keys
from paincast.predictor.bundle.loading import load_predictor
from paincast.predictor.bundle.saving import save_predictor
from paincast.predictor.bundle.signature import SIGNATURE, SIGNATURE_TAG, sign_bundle, sign_files

__all__ = [
    "CHECKSUMS",
    "FORMAT",
    "MANIFEST",
    "SIGNATURE",
    "SIGNATURE_TAG",
    "SigningKey",
    "TrustedKeys",
    "add_version",
    "load_predictor",
    "read_files",
    "read_signing_key",
    "read_trusted_keys",
    "save_predictor",
    "sign_bundle",
    "sign_files",
]
