"""Why a cell failed, is slow or is large: rules that turn evidence into findings."""
