"""People where others work: in diffusers pipelines, ComfyUI, AUTOMATIC1111's web UI and its kin, InvokeAI and kohya's scripts."""
