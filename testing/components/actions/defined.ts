// TypeScript, inside one of the functions that are there for editors.
type Result = { sum: number };

export default defineAction({
  key: "suite-defined",
  name: "Defined",
  version: "0.0.1",
  type: "action",
  props: { numbers: { type: "integer[]" as const } },
  async run(): Promise<Result> {
    const numbers: number[] = (this as { numbers: number[] }).numbers;
    return { sum: numbers.reduce((sum, one) => sum + one, 0) };
  },
});
