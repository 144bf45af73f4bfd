// The rows of the event's text, as objects by the names in the first line.
import { parse } from 'csv-parse/sync';

export default function ({ event }) {
  return parse(event.body, { columns: true, skip_empty_lines: true, trim: true });
}
