mkdir -p sub/deep docs foo/bar keepempty
echo a > a.txt; echo b > b.md; echo a > sub/a.txt; echo b > sub/b.md; echo a > sub/deep/a.txt
echo r > docs/README.md; echo k > foo/bar/keep
cat > .dockerignore <<'EOF'
**/*.txt
EOF
