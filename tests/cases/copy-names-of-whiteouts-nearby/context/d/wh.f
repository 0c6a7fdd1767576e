d/wh.f
