@description('The name of the system topic of the Communication Services resource, in this resource group.')
param systemTopicName string

@description('The resource id of the function app.')
param functionAppId string

@description('The resource id of the storage account that takes the dead letters.')
param deadLetterAccountId string

@description('The container of the dead letters.')
param deadLetterContainer string

var subscriptions = loadJsonContent('../subscriptions.json').communication

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: systemTopicName
}

// One at a time: Event Grid refuses to change a topic that is being changed.
@batchSize(1)
resource each 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = [
  for subscription in subscriptions: {
    parent: topic
    name: 'emergency-${subscription.name}'
    properties: {
      destination: {
        endpointType: 'AzureFunction'
        properties: {
          resourceId: '${functionAppId}/functions/${subscription.function}'
          // The Functions host fails a whole batch for one event of it.
          maxEventsPerBatch: 1
          preferredBatchSizeInKilobytes: 64
        }
      }
      eventDeliverySchema: 'EventGridSchema'
      filter: { includedEventTypes: subscription.types }
      retryPolicy: {
        maxDeliveryAttempts: subscription.attempts
        eventTimeToLiveInMinutes: subscription.minutes
      }
      deadLetterWithResourceIdentity: subscription.deadLetters
        ? {
            identity: { type: 'SystemAssigned' }
            deadLetterDestination: {
              endpointType: 'StorageBlob'
              properties: { resourceId: deadLetterAccountId, blobContainerName: deadLetterContainer }
            }
          }
        : null
    }
  }
]
