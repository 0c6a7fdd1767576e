#!/bin/sh
# Joins the images of the job's pods to one index, by the digests that they left, in the order of the pods.
set -eu
image=registry.example/app
kubectl wait --for=condition=complete --timeout=1h job/build-app
digests=$(kubectl get pods --selector=batch.kubernetes.io/job-name=build-app \
  --field-selector=status.phase=Succeeded \
  --sort-by='{.metadata.annotations.batch\.kubernetes\.io/job-completion-index}' \
  --output=jsonpath='{range .items[*]}{.status.containerStatuses[0].state.terminated.message}{"\n"}{end}')
set --
for digest in $digests; do
  set -- "$@" --from "$image@$digest"
done
bako manifest push "$image:1" "$@"
