"""Scores a lead by the pages that it has visited."""

from statistics import mean

WEIGHTS = {"/pricing": 30, "/docs": 10, "/": 1}


def handler(pd):
    lead = pd.steps["clean"]["$return_value"]
    points = [WEIGHTS.get(visit["path"], 2) for visit in lead["visits"]]
    seconds = mean(visit["seconds"] for visit in lead["visits"]) if points else 0
    pd.export("seconds", round(seconds, 1))
    print(f"{lead['email']}: {len(points)} visits")
    return {"score": sum(points), "is_hot": sum(points) >= 50 and seconds >= 20}
