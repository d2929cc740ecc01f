def handler(event, context):
    print('called with', event['httpMethod'])
    return {'statusCode': 200, 'body': 'called'}
