tar --mtime=@1609459200 -czf ../context.tar a
rm a
