from collections import Counter


def handler(pd):
    """The companies with the count of their contacts, those with the most first."""
    contacts = pd.steps["contacts"]["$return_value"]["body"]["contacts"]
    counts = Counter(one["company_domain"] or "none" for one in contacts).most_common()
    pd.export("largest", counts[0][0] if counts else "nobody")
    return [{"company": company, "contacts": count} for company, count in counts]
