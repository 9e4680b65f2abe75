"""Programs that read, or list, all objects below a prefix with other clients.

Each takes the bucket and the file of a table to write; reading means a digest of each object.
"""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["LISTERS", "READERS"]

S3FS = """
import sys, s3fs, xxhash, pyarrow as pa, pyarrow.parquet as pq
fs = s3fs.S3FileSystem()
found = fs.find(f"{sys.argv[1]}/gold", detail=True)
rows = [{"path": key, "size": one["size"], "digest": xxhash.xxh3_128_digest(fs.cat_file(key))}
        for key, one in found.items()]
pq.write_table(pa.Table.from_pylist(rows), sys.argv[2])
"""

OBSTORE = """
import os, sys, obstore, xxhash
from concurrent.futures import ThreadPoolExecutor
from obstore.store import S3Store
store = S3Store(sys.argv[1], endpoint=os.environ["AWS_ENDPOINT_URL"], region="us-east-1",
    access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
    secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    virtual_hosted_style_request=False, client_options={"allow_http": True})
keys = [one["path"] for batch in store.list("gold/") for one in batch]
"""

BOTO3 = """
import sys, boto3, xxhash
from botocore.config import Config
from concurrent.futures import ThreadPoolExecutor
s3 = boto3.client("s3", config=Config(max_pool_connections=32, s3={"addressing_style": "path"}))
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=sys.argv[1], Prefix="gold/")
keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
"""

ARROW = """
import os, sys, pyarrow.fs as pafs, xxhash
from concurrent.futures import ThreadPoolExecutor
host = os.environ["AWS_ENDPOINT_URL"].partition("://")[2]
fs = pafs.S3FileSystem(endpoint_override=host, scheme="http", region="us-east-1")
wanted = pafs.FileSelector(f"{sys.argv[1]}/gold", recursive=True)
keys = [one.path for one in fs.get_file_info(wanted) if one.is_file]
"""

DIGESTS = """
with ThreadPoolExecutor({threads}) as pool:
    digests = list(pool.map(lambda key: xxhash.xxh3_128_digest({content}), keys))
"""

READERS = MappingProxyType(
    {
        "s3fs": S3FS,
        "obstore": OBSTORE + DIGESTS.format(threads=16, content="obstore.get(store, key).bytes()"),
        "boto3": BOTO3
        + DIGESTS.format(
            threads=32, content="s3.get_object(Bucket=sys.argv[1], Key=key)['Body'].read()"
        ),
        "pyarrow": ARROW + DIGESTS.format(threads=16, content="fs.open_input_file(key).readall()"),
    }
)
"""By the module that each needs beside xxhash."""

LISTERS = MappingProxyType(
    {
        "obstore": OBSTORE,
        "boto3": BOTO3,
        "s3fs": """
import sys, s3fs
keys = s3fs.S3FileSystem().find(f"{sys.argv[1]}/gold", detail=True)
""",
    }
)
