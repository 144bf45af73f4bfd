import { crm } from "./crm.mjs";

/** Finds the company of the lead's e-mail address; null if the CRM does not know it. */
export default async function ({ event, connections }) {
  const { email } = event.body ?? {};
  if (typeof email !== "string" || !email.includes("@")) {
    throw new TypeError("the event's body needs an `email`");
  }
  const domain = email.split("@")[1];
  console.log(`looking up ${domain}`);
  return crm(connections.crm, `/crm/companies/${encodeURIComponent(domain)}`);
}
