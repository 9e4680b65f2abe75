from __future__ import annotations

from dataguard.model.mount import ProbeOutcome
from dataguard.model.objectpolicy import BucketPart
from dataguard.stores.bucketcanary import send_canary

SETTINGS = {"versioning", "policy"}


def test_who_pays_says_so_also_where_a_canary_is_taken_back(ministack, make_bucket, proxies):
    bucket, proxy = make_bucket(ministack), proxies(ministack.endpoint)
    with ministack.client(ministack.trainer, endpoint=proxy.endpoint) as client:
        found = send_canary(client, BucketPart(bucket, "gold"), payer=True)

    assert ProbeOutcome.ALLOWED in {step.result for step in found.probe.steps}
    assert () == found.left
    asked = [one.request for one in proxy.seen if not SETTINGS & set(one.request.query)]
    assert {"requester"} == {one.headers.get("x-amz-request-payer") for one in asked}
    assert {"DELETE", "GET", "POST"} <= {one.method for one in asked}
