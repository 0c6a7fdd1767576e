mkdir in; echo tar > in/a.txt; echo tar > in/b.txt; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar a.txt b.txt; rm -r in
