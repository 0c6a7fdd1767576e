tar --mtime=@1609459200 -cJf ../context.tar ./a
rm a
