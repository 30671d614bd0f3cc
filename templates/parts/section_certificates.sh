# ---- Keys, requests and certificates ----------------------------------------
