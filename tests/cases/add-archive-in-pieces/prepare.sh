mkdir -p in/dir in/link in/new/deep; echo new > in/dir/file; echo behind > in/link/file; echo deep > in/new/deep/file
tar -C in --mtime=@1500000000 --owner=0 --group=0 -cf pieces.tar dir/file link/file new/deep/file
rm -r in
