# One line for the sales team, as text. jq reads what the earlier steps gave.
set -euo pipefail

jq -r '"\(.clean["$return_value"].name): \(.score["$return_value"].score) points, \(.score.seconds) s a page"' \
  "$CAUSEWAY_STEPS" > "$CAUSEWAY_RESULT"
