tar -czf whole.tar a
head -c 40 whole.tar > ../context.tar
