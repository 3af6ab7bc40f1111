# The demo's job: real work of about 30 seconds in three named sections, with a pause of nothing in
# between. The markers are those that GitLab documents for collapsible sections of a job log.
set -eu
mark() { printf '\033[0K%s:%s:%s\r\033[0K%s\n' "$1" "$(date +%s)" "$2" "$2"; }

sleep 1
mark section_start write_files
# More than one scrape between the writes and the section's edges, so that all of them count for it.
sleep 1.5
for part in 1 2 3 4; do
    dd if=/dev/zero of="$WORK/part-$part" bs=1M count=64 conv=fsync 2>/dev/null
    sleep 0.3
done
sleep 1.5
mark section_end write_files

mark section_start idle
sleep 6
mark section_end idle

mark section_start compute
end=$(($(date +%s) + 10))
while [ "$(date +%s)" -lt "$end" ]; do
    i=0
    while [ "$i" -lt 20000 ]; do i=$((i + 1)); done
done
mark section_end compute

sleep 2
mark section_start allocate
# `tail -c` must hold what it may have to print: that is the allocation, kept for six seconds.
{ head -c "$((ALLOCATE_MIB * 1024 * 1024))" /dev/zero; sleep 6; } | tail -c "$((ALLOCATE_MIB * 1024 * 1024))" >/dev/null
mark section_end allocate
sleep 2
