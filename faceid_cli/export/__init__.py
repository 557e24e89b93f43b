"""People where others work: diffusers pipelines, ComfyUI, AUTOMATIC1111's web UI and its kin, InvokeAI and kohya."""
