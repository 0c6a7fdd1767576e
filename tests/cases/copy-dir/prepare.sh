chmod 711 dir; chmod 750 dir/sub; chmod 600 dir/a.txt
