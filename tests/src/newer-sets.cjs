// gitlab-ci-local uses methods of sets that Node has since 22.
const methods = {
  union(other) { return new Set([...this, ...other.keys()]); },
  intersection(other) { return new Set([...this].filter((item) => other.has(item))); },
  difference(other) { return new Set([...this].filter((item) => !other.has(item))); },
  isSubsetOf(other) { return [...this].every((item) => other.has(item)); },
};
for (const [name, method] of Object.entries(methods)) Set.prototype[name] ??= method;
