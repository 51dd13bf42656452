"""The smallest service: what is compared is how its dependencies got into the image."""  # noqa: INP001  # a file beside its Dockerfile, in no package

from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def healthz() -> dict[str, bool]:
    """Answer that the service is up."""
    return {"ok": True}
