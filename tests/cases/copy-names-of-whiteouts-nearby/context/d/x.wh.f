d/x.wh.f
