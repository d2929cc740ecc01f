import boto3

session = boto3.Session("key", "secret", region_name="ru-central1")
s3 = session.client("s3", endpoint_url="https://storage.yandexcloud.net")


def handler(event, context):
    url = s3.generate_presigned_url("get_object", {"Bucket": "b", "Key": "к"}, ExpiresIn=60)
    return [url.partition("?")[0], "X-Amz-Signature" in url or "Signature" in url, session.client("sqs").meta.service_model.api_version]
