from google.auth.credentials import AnonymousCredentials
from google.cloud import storage


def handler(event, context):
    client = storage.Client(project="p", credentials=AnonymousCredentials())
    blob = client.bucket("b").blob("папка/файл.txt")
    return [blob.path, blob.public_url, client.project]
