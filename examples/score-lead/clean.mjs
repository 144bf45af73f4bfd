/** The lead as the later steps want it. */
export default async function ({ event }) {
  const { email, name = "", visits = [] } = event.body ?? {};
  if (typeof email !== "string" || !email.includes("@")) {
    throw new TypeError("the event's body needs an `email`");
  }
  return { email: email.trim().toLowerCase(), name: name.trim(), visits };
}
