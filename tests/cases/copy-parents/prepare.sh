chmod 711 x
