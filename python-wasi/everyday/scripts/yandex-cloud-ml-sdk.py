from yandex_cloud_ml_sdk import YCloudML

sdk = YCloudML(folder_id="folder", auth="AQVN-key")


def handler(event, context):
    model = sdk.models.completions("yandexgpt").configure(temperature=0.5, max_tokens=10)
    index = sdk.models.text_embeddings("query")
    return [model.uri, model.config.temperature, model.config.max_tokens, index.uri]
