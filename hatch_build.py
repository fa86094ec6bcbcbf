"""A wheel made where there is a C compiler holds the compiled reader of answers; any other one does without."""

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledReader(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the library before the files are gathered."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build it, and say for which machines the wheel is."""
        del version
        path = Path(self.root) / "scripts" / "build_native.py"
        spec = importlib.util.spec_from_file_location("build_native", path)
        if spec is None or spec.loader is None or not path.exists():
            return
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        if not native.build():
            return
        build_data["artifacts"].append(f"/{native.LIBRARY.relative_to(native.ROOT)}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
